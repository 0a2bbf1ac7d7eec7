"""waitroom: an admission-control reverse proxy and virtual waiting room for university exams."""
