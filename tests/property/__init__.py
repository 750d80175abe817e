"""Every operation of the model under generated input: what no list of cases thinks of.

`test_every_operation.py` sends valid, nearly valid and invalid requests over HTTP and judges each answer, and
`test_invocations.py` does so to a real node; `test_read_back.py` makes sequences of changes and compares every answer
before and after a restart.

In a usual run the examples are few and always the same. With the environment variable PROPERTY_EXAMPLES, as in
`PROPERTY_EXAMPLES=300 make test PYTEST_ARGS="-n 0 tests/property"`, each operation gets so many requests, different
ones each time, and a table at the end says how many of them it accepted and refused.
"""
