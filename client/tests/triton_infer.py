"""NVIDIA's client, tritonclient[http], against a gateway over mutual TLS.

usage: triton_infer.py HOST:PORT CERTIFICATES ENCRYPTED

Asks for everything that a client asks for before it trusts a server, sends ENCRYPTED/tensor-*.bin as one BYTES tensor
and writes the elements of the answer to ENCRYPTED/answer-*.bin. Prints what it read as JSON.
"""

import json
import ssl
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton

address, certificates, encrypted = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


def context():
    made = ssl.create_default_context(cafile=certificates / "ca.pem")
    made.load_cert_chain(certificates / "client.pem", certificates / "client-key.pem")
    return made


client = triton.InferenceServerClient(url=address, ssl=True, ssl_context_factory=context)
seen = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("m"),
    "version_ready": client.is_model_ready("m", "1"),
    "absent_ready": client.is_model_ready("absent"),
    "server": client.get_server_metadata(),
    "model": client.get_model_metadata("m"),
    "index": client.get_model_repository_index(),
}

paths = sorted(encrypted.glob("tensor-*.bin"), key=lambda path: int(path.stem.split("-")[1]))
elements = np.array([path.read_bytes() for path in paths], dtype=np.object_)
features = triton.InferInput("features", [len(paths)], "BYTES")
features.set_data_from_numpy(elements, binary_data=True)
scores = triton.InferRequestedOutput("scores", binary_data=True)
result = client.infer("m", [features], model_version="1", outputs=[scores], request_id="patients")
seen["response"] = {key: value for key, value in result.get_response().items() if key != "outputs"}
for index, element in enumerate(result.as_numpy("scores")):
    (encrypted / f"answer-{index}.bin").write_bytes(element)

# What a refusal looks like to this client.
try:
    client.get_model_metadata("absent")
except triton.InferenceServerException as error:
    seen["absent"] = {"status": error.status(), "message": error.message()}
print(json.dumps(seen))
