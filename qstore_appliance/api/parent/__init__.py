"""
What the HTTP client of the 4.x library asks for (`BackendAPIClient`): bare JSON at the root, with our credentials.

It answers for data sets as far as this appliance has what is asked for; our own API is under `/v1`.
"""
