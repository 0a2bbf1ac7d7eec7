"""Mornings in virtual time: backends, crowds, and what is proved with them. One seed replays one morning."""
