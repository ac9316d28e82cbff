"""An S3-compatible store for a test, in memory: moto, which asks every request for its signature. One request at
a time, so that "only if it is not there" holds between two that come at once. It ends with its input."""

import json
import logging
import sys
import threading

import boto3
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
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
endpoint = f"http://127.0.0.1:{server.port}"
threading.Thread(target=server.serve_forever, daemon=True).start()

free = {"endpoint_url": endpoint, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
for bucket in ["observatory", "careless"]:
    boto3.client("s3", **free).create_bucket(Bucket=bucket)
iam = boto3.client("iam", **free)
iam.create_user(UserName="kenshin")
allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="kenshin", PolicyName="all", PolicyDocument=json.dumps(allowed))
key = iam.create_access_key(UserName="kenshin")["AccessKey"]
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0  # from here on
told = {"endpoint": endpoint, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
print(json.dumps(told), flush=True)
sys.stdin.read()
