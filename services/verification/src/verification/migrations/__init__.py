"""The history of the schema `verification`. Migrations ship with the package."""
