"""
A code review by agents of three makes, which know of each other only the contracts.

The surveyor is a program in Go; the adviser uses the SDK; the reviewer is an agent of the OpenAI Agents SDK.
"""
