"""The history of the schema `user_artist`. Migrations ship with the package."""
