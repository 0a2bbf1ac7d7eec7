"""A school inside Kolibri: one class, its learners, a coach and an active quiz; runs in Kolibri's own management shell.

Fed to `kolibri manage shell` on standard input, so it imports nothing of ours. The environment says what to do:
`SCHOOL` is the JSON of `platform.School`, `DEED` is `found` (make everything) or `attempts` (print who submitted what).
What it answers is the JSON after `ANSWER` on a line of its own; Kolibri prints its logs around it.
"""

import hashlib
import io
import json
import os
import uuid
import zipfile
from pathlib import Path
from typing import Any

from kolibri.core.auth.models import Classroom, Facility, FacilityUser
from kolibri.core.content.models import AssessmentMetaData, ChannelMetadata, ContentNode, File, LocalFile
from kolibri.core.content.utils.annotation import set_content_visibility_from_disk
from kolibri.core.content.utils.paths import get_content_storage_file_path
from kolibri.core.exams.models import Exam, ExamAssignment
from kolibri.core.logger.models import AttemptLog, MasteryLog

Json = dict[str, Any]

CHANNEL_ID = uuid.uuid5(uuid.NAMESPACE_DNS, "channel.waitroom.test").hex
EXERCISE_ID = uuid.uuid5(uuid.NAMESPACE_DNS, "exercise.waitroom.test").hex


def perseus_item(question: Json) -> Json:
    """One multiple-choice question in the format of Khan Academy's Perseus, which Kolibri shows."""
    choices = [
        {"content": text, "correct": place == question["right"]} for place, text in enumerate(question["choices"])
    ]
    radio = {
        "type": "radio",
        "alignment": "default",
        "static": False,
        "graded": True,
        "version": {"major": 1, "minor": 0},
        "options": {"choices": choices, "randomize": False, "multipleSelect": False, "deselectEnabled": False},
    }
    return {
        "question": {"content": question["text"] + "\n\n[[☃ radio 1]]", "images": {}, "widgets": {"radio 1": radio}},
        "answerArea": {"calculator": False, "periodicTable": False},
        "hints": [],
        "itemDataVersion": {"major": 0, "minor": 1},
    }


def perseus_file(questions: list[Json]) -> bytes:
    """The exercise as Kolibri Studio would ship it: a zip of one JSON a question."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        ids = [question["id"] for question in questions]
        archive.writestr("exercise.json", json.dumps({"all_assessment_items": ids, "mastery_model": "do_all"}))
        for question in questions:
            archive.writestr(question["id"] + ".json", json.dumps(perseus_item(question)))
    return packed.getvalue()


def store_content(packed: bytes) -> LocalFile:
    """Put a file where Kolibri keeps its content, under its checksum."""
    checksum = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    path = Path(get_content_storage_file_path(checksum + ".perseus"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    return LocalFile.objects.create(id=checksum, extension="perseus", available=True, file_size=len(packed))


def make_channel(school: Json) -> None:
    """A channel of one exercise: what an import from Kolibri Studio would leave behind."""
    shared = {"channel_id": CHANNEL_ID, "license_name": "CC BY", "available": True}
    root = ContentNode.objects.create(
        id=CHANNEL_ID, content_id=CHANNEL_ID, kind="topic", title=school["channel"], parent=None, **shared
    )
    ChannelMetadata.objects.create(
        id=CHANNEL_ID, name=school["channel"], min_schema_version="1", root=root, version=1, partial=False
    )
    exercise = ContentNode.objects.create(
        id=EXERCISE_ID, content_id=EXERCISE_ID, kind="exercise", title=school["exercise"], parent=root, **shared
    )
    AssessmentMetaData.objects.create(
        id=uuid.uuid4().hex,
        contentnode=exercise,
        assessment_item_ids=[question["id"] for question in school["questions"]],
        number_of_assessments=len(school["questions"]),
        mastery_model={"type": "do_all"},
        is_manipulable=True,
    )
    local_file = store_content(perseus_file(school["questions"]))
    File.objects.create(id=uuid.uuid4().hex, local_file=local_file, contentnode=exercise, preset="exercise", priority=1)
    set_content_visibility_from_disk(CHANNEL_ID)


def make_user(facility: Facility, name: str, password: str) -> FacilityUser:
    """Somebody of the school who can sign in."""
    user = FacilityUser.objects.create(username=name, full_name=name.title(), facility=facility)
    user.set_password(password)
    user.save()
    return user


def make_quiz(school: Json, classroom: Classroom, coach: FacilityUser) -> Exam:
    """The quiz: one section of every question, assigned to the class and open."""
    questions = [
        {
            "exercise_id": EXERCISE_ID,
            "question_id": question["id"],
            "title": school["exercise"],
            "counter_in_exercise": number,
        }
        for number, question in enumerate(school["questions"], start=1)
    ]
    section = {
        "section_id": uuid.uuid4().hex,
        "section_title": "",
        "description": "",
        "questions": questions,
        "learners_see_fixed_order": True,
    }
    exam = Exam.objects.create(
        title=school["quiz"],
        question_count=len(questions),
        question_sources=[section],
        learners_see_fixed_order=True,
        active=True,
        collection=classroom,
        creator=coach,
        data_model_version=3,
    )
    ExamAssignment.objects.create(exam=exam, collection=classroom, assigned_by=coach)
    return exam


def found(school: Json) -> Json:
    """Everything a learner needs to find the quiz."""
    facility = Facility.objects.get(name=school["facility"])
    classroom = Classroom.objects.create(name=school["classroom"], parent=facility)
    coach = make_user(facility, school["coach"], school["password"])
    classroom.add_coach(coach)
    for name in school["learners"]:
        classroom.add_member(make_user(facility, name, school["password"]))
    make_channel(school)
    exam = make_quiz(school, classroom, coach)
    return {"exam_id": exam.id, "class_id": classroom.id, "facility_id": facility.id}


def attempts(school: Json) -> Json:
    """Per learner: whether the quiz was submitted, and each answer with its mark, as Kolibri's database holds them."""
    exam = Exam.objects.get(title=school["quiz"])
    told = {}
    for log in MasteryLog.objects.filter(summarylog__content_id=exam.id).select_related("user", "summarylog"):
        answers = AttemptLog.objects.filter(masterylog=log).order_by("start_timestamp")
        told[log.user.username] = {
            "submitted": log.complete and log.completion_timestamp is not None and log.summarylog.progress == 1,
            "marks": {answer.item.split(":")[-1]: answer.correct for answer in answers},
        }
    return told


DEEDS = {"found": found, "attempts": attempts}
print("\nANSWER" + json.dumps(DEEDS[os.environ["DEED"]](json.loads(os.environ["SCHOOL"]))))
