"""The examination of a machine before an exam: findings, each with its remedy. Nothing is changed anywhere."""
