"""Asks a language model whether an answer means the same as the reference; shared by the stem and math judges.

`grading.grade` is the whole way from a response to a score: what needs no judge is settled first, then the verdict
cache is read, then the judge, any OpenAI-compatible server, is asked over HTTP.
"""
