"""An authority of its own for one test: certificates of servers on loopback, and of clients."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Wrong clocks of machines are no matter of these tests.
_BEGINS = datetime.now(UTC) - timedelta(days=1)
_ENDS = _BEGINS + timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Issued:
    """Two files in PEM."""

    certfile: Path
    keyfile: Path


class Authority:
    """Signs what it is asked to; `cafile` is what whoever trusts it needs."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = _builder(self._name, self._name, self._key)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(
            _usage(signs_others=True), critical=True
        )
        self.cafile = directory / f"{name}.pem"
        self.cafile.write_bytes(_pem(own.sign(self._key, hashes.SHA256())))

    def issue(self, name: str, *, host: str = "127.0.0.1", password: str = "") -> Issued:
        """A certificate of `CN=name` for a server at this host or a client; the key is encrypted with `password`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        places = [_place(host)]
        request = _builder(subject, self._name, key)
        request = request.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        request = request.add_extension(_usage(signs_others=False), critical=True)
        request = request.add_extension(x509.SubjectAlternativeName(places), critical=False)
        request = request.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        issued = Issued(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        issued.certfile.write_bytes(_pem(request.sign(self._key, hashes.SHA256())))
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password.encode())
        issued.keyfile.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return issued


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(_BEGINS).not_valid_after(_ENDS)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        encipher_only=False,
        decipher_only=False,
    )


def _place(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
