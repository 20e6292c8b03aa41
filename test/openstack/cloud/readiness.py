"""How a process is seen to do its work: an API answers, a port is open, a queue is read."""
import http.client
import socket
from dataclasses import dataclass
from typing import Protocol

from cloud import settings


class Check(Protocol):
    def problem(self) -> str | None:
        """What is amiss, as the end of a sentence that begins with the name of the process."""


@dataclass(frozen=True)
class Answers:
    port: int
    path: str = '/'
    status: int = 200

    def problem(self) -> str | None:
        connection = http.client.HTTPConnection(settings.HOST, self.port, timeout=5)
        try:
            connection.request('GET', self.path)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f'does not answer on port {self.port} ({error})'
        finally:
            connection.close()
        return None if status == self.status else f'answers {status} on port {self.port}'


@dataclass(frozen=True)
class Listens:
    ports: tuple[int, ...]

    def problem(self) -> str | None:
        for port in self.ports:
            try:
                socket.create_connection((settings.HOST, port), timeout=5).close()
            except OSError:
                return f'does not listen on port {port}'
        return None


@dataclass(frozen=True)
class Consumes:
    """A worker without an API reads these queues; to send it something earlier would be to lose it."""
    queues: tuple[str, ...]

    def problem(self) -> str | None:
        # comes with the packages
        import amqp

        try:
            with amqp.Connection(
                f'{settings.HOST}:{settings.RABBITMQ_PORT}', settings.RABBITMQ_USER, settings.PASSWORD
            ) as connection:
                for queue in self.queues:
                    if connection.channel().queue_declare(queue, passive=True).consumer_count == 0:
                        return f'does not read its queue {queue}'
        except (OSError, amqp.AMQPError) as error:
            return f'cannot be asked about its queues ({error})'
        return None


@dataclass(frozen=True)
class SocketOpen:
    path: str

    def problem(self) -> str | None:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(self.path)
            except OSError:
                return f'does not listen at {self.path}'
        return None
