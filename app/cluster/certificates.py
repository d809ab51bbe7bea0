"""Certificates of a cluster: a private authority, and a pair of certificate and key for each role.

Whoever holds one of the keys can run code on every host of the cluster. The key of the authority signs
further pairs; no process of the lab reads it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.errors import Invalid
from app.store import private_files

VALID_DAYS = 365
AUTHORITY = "ca"


class Role(StrEnum):
    """Who presents a certificate. Dask calls the lab a client."""

    SCHEDULER = "scheduler"
    WORKER = "worker"
    LAB = "lab"


def certificate_file(folder: Path, name: str) -> Path:
    """Return the file of a certificate: of a role, or of the authority."""
    return folder / f"{name}.pem"


def key_file(folder: Path, name: str) -> Path:
    """Return the file of a private key."""
    return folder / f"{name}-key.pem"


def make_certificates(folder: Path) -> tuple[Path, ...]:
    """Write an authority and a pair for each role into `folder`, and return the files.

    Raises Invalid if the folder has an authority already: new pairs would not fit the old ones. Raises
    OSError.
    """
    if certificate_file(folder, AUTHORITY).exists():
        raise Invalid(f"{folder} has certificates already; remove them, or choose another directory.")
    private_files.make_folder(folder)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("Thread Model Lab cluster authority")
    authority = (
        _builder(subject, subject, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    files: list[Path] = []
    for role in Role:
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if role != Role.LAB:  # scheduler and workers listen, too
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        certificate = (
            _builder(_name(f"Thread Model Lab {role}"), subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        files += _write(folder, role, certificate, key)
    # The authority last: its certificate shows that all files are there.
    return (*files, *_write(folder, AUTHORITY, authority, authority_key))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the clock of another host may be behind
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> tuple[Path, Path]:
    certificate_path, key_path = certificate_file(folder, name), key_file(folder, name)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    private_files.make_file(key_path)
    key_path.write_bytes(private)
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_path, key_path
