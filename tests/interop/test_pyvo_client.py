"""What the stock pyvo can do with us: what we offer, whether we answer, and with whose credentials."""

import io

import pytest
from pyvo.auth import AuthSession, securitymethods
from pyvo.io.vosi import parse_availability, parse_capabilities
from space_clients import PASSWORD, Space, Terminal

pytestmark = pytest.mark.interop


class Pyvo:
    """A session of pyvo's, which chooses the credential for each address by our capabilities."""

    def __init__(self, *, terminal: Terminal, face: str) -> None:
        self.url = f"https://{terminal.space.host}/{'vault' if face == 'vos' else face}"
        self._authority = str(terminal.file("ca.pem", terminal.space.authority.ca_pem))
        self.session = AuthSession()
        self.trust()
        self.session.add_security_method_for_url(self.url, securitymethods.ANONYMOUS)
        self.capabilities = parse_capabilities(io.BytesIO(self.get("capabilities").content))
        self.session.update_from_capabilities(self.capabilities)

    def trust(self) -> None:
        """Have our authority verify us; pyvo keeps a session for each way to sign in."""
        for method in self.session.credentials.credentials.values():
            method.trust_env = False
            method.verify = self._authority

    def get(self, path: str):
        return self.session.get(f"{self.url}/{path}")


@pytest.fixture
def pyvo(terminal: Terminal, face: str) -> Pyvo:
    return Pyvo(terminal=terminal, face=face)


def test_pyvo_reads_what_we_offer_and_that_we_answer(pyvo: Pyvo) -> None:
    assert parse_availability(io.BytesIO(pyvo.get("availability").content)).available
    offered = {each.standardid: each.interfaces[0] for each in pyvo.capabilities}
    nodes = offered["ivo://ivoa.net/std/VOSpace/v2.0#nodes"]
    assert nodes.accessurls[0].content == f"{pyvo.url}/nodes"
    methods = {method.standardid for method in nodes.securitymethods}
    assert {securitymethods.CLIENT_CERTIFICATE, securitymethods.BASIC} <= methods


def test_pyvo_signs_in_with_a_certificate_a_password_or_not_at_all(
    pyvo: Pyvo, terminal: Terminal, space: Space, folder: str
) -> None:
    space.put(f"{folder}/mine.txt", b"mine")
    node = f"nodes{folder}/mine.txt"
    assert pyvo.get(node).status_code == 401
    terminal.sign_in()
    pyvo.session.credentials.set_client_certificate(str(terminal.home / ".ssl" / "cadcproxy.pem"))
    pyvo.trust()
    assert "core#length" in pyvo.get(node).text
    assert pyvo.get(f"files{folder}/mine.txt").content == b"mine"
    pyvo.session.credentials.credentials.pop(securitymethods.CLIENT_CERTIFICATE)
    pyvo.session.credentials.set_password("ada", PASSWORD)
    pyvo.trust()
    assert pyvo.get(f"files{folder}/mine.txt").content == b"mine"
