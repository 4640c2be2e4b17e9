"""Where a test's own connections take replies: as a service's, which any request may be answered to."""

from typing import Final

TEST_INBOXES: Final = "_INBOX.svc.test"
