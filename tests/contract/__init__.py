"""The contract for users, rule by rule."""
