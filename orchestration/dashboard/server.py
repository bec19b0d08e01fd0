"""Serving the dashboard on this machine, until the process is ended."""

from __future__ import annotations

import logging
from threading import Thread

from orchestration.settings import Settings
from orchestration.warehouse.postgres import HOST


def serve(settings: Settings, port: int) -> None:
    """Answer at the port of the loopback interface until interrupted."""
    import uvicorn

    from orchestration.dashboard.app import Dashboard, make_app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    dashboard = Dashboard(settings)
    # what is broken is told in the log at once, but nobody has to wait for it
    Thread(target=dashboard.check, daemon=True).start()
    uvicorn.run(
        make_app(dashboard),
        host=HOST,
        port=port,
        access_log=False,
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
    )
