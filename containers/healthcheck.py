"""Health check of the images: exits with 0 if the server of the container says that it is well, else with 1.

usage: healthcheck.py [PORT [PATH]], the live page's 8080 and /healthz by default.

The page answers 503 while a camera is away or has not started yet. Only the standard library: every Python runs it.
"""

import http.client
import sys


def main(port: int = 8080, path: str = "/healthz") -> int:
    """Ask this machine's server, print its answer as one line and return 0 if it is well, else 1."""
    # Not urllib: it would ask a proxy that the environment names.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        print(f"nobody answers at port {port}: {error}")
        return 1
    finally:
        connection.close()
    print(answer.status, " ".join(text.split()))
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2]), *sys.argv[2:3]))
