"""The Python client of Runyard, a service that runs AI agents.

    with Runyard("http://127.0.0.1:8080", token) as client:
        run = client.agents.run(prompt="Analyze data.csv", files=["data.csv"])
        for event in run:
            print(event.kind)

`AsyncRunyard` is the asyncio client.
"""

import pkgutil

from runyard import events, models
from runyard._async.client import AsyncRunyard
from runyard._async.files import AsyncRemoteFile
from runyard._async.run import AsyncRun
from runyard._options import VERSION
from runyard._sync.client import Runyard
from runyard._sync.files import RemoteFile
from runyard._sync.run import Run
from runyard.errors import (
    AuthenticationError,
    CancelledError,
    ConflictError,
    DeadlineError,
    ErrorDetails,
    FieldViolation,
    InsufficientCreditsError,
    InternalError,
    InvalidRequestError,
    LimitError,
    ModelAccessError,
    NotFoundError,
    PermissionDeniedError,
    RunFailedError,
    RunyardError,
    ThrottledError,
    TooLargeError,
    UnavailableError,
    UnimplementedError,
)
from runyard.tools import ClientTool

# A program can generate its own stubs from the public .proto files, into a folder runyard/v1 on its path.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = VERSION

__all__ = [
    "AsyncRemoteFile",
    "AsyncRun",
    "AsyncRunyard",
    "AuthenticationError",
    "CancelledError",
    "ClientTool",
    "ConflictError",
    "DeadlineError",
    "ErrorDetails",
    "FieldViolation",
    "InsufficientCreditsError",
    "InternalError",
    "InvalidRequestError",
    "LimitError",
    "ModelAccessError",
    "NotFoundError",
    "PermissionDeniedError",
    "RemoteFile",
    "Run",
    "RunFailedError",
    "Runyard",
    "RunyardError",
    "ThrottledError",
    "TooLargeError",
    "UnavailableError",
    "UnimplementedError",
    "__version__",
    "events",
    "models",
]
