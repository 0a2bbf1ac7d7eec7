"""Real learning platforms behind the waiting room, driven by a real browser; run on request (`make real`), never by CI.

A *platform* is the learning platform as its own package installs it; a *learner* is a person at a browser; a *watch* is
everything the browser saw, so that the run through the waiting room can be compared with the run without it.
"""
