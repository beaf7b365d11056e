"""The shared language: names, settings, stream definitions, facts and the push protocol.

Every room may import this package and nothing else of ours. A type enters it only when it crosses a process, and it
may import the standard library, pydantic and PyYAML, never a vendor's client.
"""
