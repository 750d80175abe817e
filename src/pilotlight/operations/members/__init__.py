"""The members of CreateFunction and UpdateFunctionConfiguration, by family: what AWS demands of each, what is kept.

`function_rules.py` puts them together. A rule takes what was asked for and gives fields of the record, or what the API
shows, or raises in AWS's words.
"""
