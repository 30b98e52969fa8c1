"""The consoles' pages, and the WebSockets behind them."""

from armillary.cloud.api.console.app import console_app as console_app
