"""Keeping an installation for years: backups, and putting one back."""
