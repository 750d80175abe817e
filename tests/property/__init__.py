"""Every operation of the model under generated input: what no list of cases thinks of.

`test_every_operation.py` sends valid, nearly valid and invalid requests over HTTP and judges each answer;
`test_read_back.py` makes sequences of changes and compares every answer before and after a restart. In a usual run the
examples are few and always the same. `PROPERTY_EXAMPLES=300 make test PYTEST_ARGS="-n 0 tests/property"` sends so many
requests to each operation, different ones each time, and prints how many of them each accepted and refused.
"""
