"""Parts of templates as their authors paste them."""

OAUTH2 = """\
auth_type: oauth2
credential_schema:
  client_id:
    label: "Client ID"
    type: string
    required: true
    sensitive: false
  client_secret:
    label: "Client Secret"
    type: password
    required: true
    sensitive: true
  token_url:
    label: "Token URL"
    type: string
    required: true
    sensitive: false
    default: "https://auth.example.com/oauth/token"
grant_type: client_credentials
scopes: "read write"
"""
