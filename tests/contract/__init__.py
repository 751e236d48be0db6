"""Tests of the contract for users, rule by rule."""
