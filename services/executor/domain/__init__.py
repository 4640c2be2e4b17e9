"""The executor's rules: from a plan and a request to an HTTP request, and from its outcome to a reply. No I/O."""
