"""The version of the product, shown by /health and the OpenAPI schema."""

VERSION = "0.1.0"
