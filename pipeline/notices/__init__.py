"""Tell receivers outside what happens: signed webhooks, and what the package apprise reaches."""
