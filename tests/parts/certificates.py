"""Certificates made by openssl for one test: an authority and what it signs, valid for a day unless told."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.parts.archive.dcmtk import program

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM files of a certificate and its private key."""

    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """sha256 of the certificate, as openssl prints it."""
        return _openssl("x509", "-in", self.certificate, "-noout", "-sha256", "-fingerprint").partition("=")[2].strip()


class Authority:
    """Signs certificates whose files lie in its folder."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate, self._key = folder / "authority.pem", folder / "authority.key"
        out = ("-keyout", self._key, "-out", self.certificate)
        _openssl("req", "-x509", *_KEY, *out, "-days", "1", "-subj", f"/CN={name}")

    def issue(self, name: str, *, host: str = "", expired: bool = False, days: int = 1, purpose: str = "") -> Pair:
        """Return a certificate with that Common Name for localhost, and for ``host`` where it is given.

        purpose: the one extended key usage that it has, as openssl names it; any where it is empty.
        """
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        _openssl("req", "-new", *_KEY, "-keyout", pair.key, "-out", request, "-subj", f"/CN={name}")
        names = ["DNS:localhost", "IP:127.0.0.1", *([f"DNS:{host}"] if host else [])]
        usage = f"extendedKeyUsage={purpose}\n" if purpose else ""
        extensions.write_text(f"subjectAltName={','.join(names)}\n{usage}")
        signer = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        _openssl(
            "x509", "-req", "-in", request, *signer, "-days", "-1" if expired else str(days), "-out", pair.certificate
        )
        return pair


def _openssl(*arguments: str | Path) -> str:
    command = [program("openssl"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
