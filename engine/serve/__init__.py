"""One model behind HTTP, in the form of OpenAI's API: chat and plain completions, whole or as a stream.

One generation runs at a time; a bounded number of requests wait. What a request asks for is done or refused, and
nothing that would change the answer is ignored. Needs the extra `serve`.
"""
