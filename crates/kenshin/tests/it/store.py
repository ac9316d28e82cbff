"""An S3-compatible store for a test, in memory: moto, which asks every request for its signature, in the clear and by
TLS, with a certificate of an authority that is made here and put into the file that is named. One request at a time,
so that "only if it is not there" holds between two that come at once. It ends with its input."""

import datetime
import ipaddress
import json
import logging
import ssl
import sys
import tempfile
import threading

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto import settings
from moto.s3.responses import S3Response
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

put_object = S3Response.put_object


def put(self):
    """Into one bucket everything may be put again."""
    if self.bucket_name == "careless":
        self.headers = {name: value for name, value in self.headers.items() if name.lower() != "if-none-match"}
    return put_object(self)


S3Response.put_object = put
logging.getLogger("werkzeug").setLevel(logging.ERROR)
store, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()


def one_by_one(environ, start_response):
    """Answers one request at a time, whichever way it came."""
    with turn:
        return list(store(environ, start_response))


def serve(tls=None):
    """Answers on a free port from now on."""
    server = make_server("127.0.0.1", 0, one_by_one, threaded=False, ssl_context=tls)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.port


def certified(ca):
    """What a server of 127.0.0.1 shows, signed by an authority whose certificate is put into a file."""
    name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]

    def signed(subject, key, *extensions):
        made = x509.CertificateBuilder(name("A test's authority"), name(subject), key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        for extension in extensions:
            made = made.add_extension(extension, critical=False)
        return made.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    with open(ca, "wb") as file:
        file.write(signed("A test's authority", keys[0], x509.BasicConstraints(ca=True, path_length=0)))
    of_store = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with tempfile.NamedTemporaryFile() as file:
        file.write(signed("A test's store", keys[1], of_store, x509.BasicConstraints(ca=False, path_length=None)))
        file.write(keys[1].private_bytes(*plain))
        file.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    return context


endpoint = f"http://127.0.0.1:{serve()}"
by_tls = f"https://127.0.0.1:{serve(certified(sys.argv[1]))}"

free = {"endpoint_url": endpoint, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
for bucket in ["observatory", "careless"]:
    boto3.client("s3", **free).create_bucket(Bucket=bucket)
iam = boto3.client("iam", **free)
iam.create_user(UserName="kenshin")
allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="kenshin", PolicyName="all", PolicyDocument=json.dumps(allowed))
key = iam.create_access_key(UserName="kenshin")["AccessKey"]
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0  # from here on
told = {"endpoint": endpoint, "by_tls": by_tls, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
print(json.dumps(told), flush=True)
sys.stdin.read()
