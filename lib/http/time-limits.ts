import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { ConnectionSettings } from './connection-settings.ts';

/** Of silence, before TCP asks whether the peer is there: what sits between forgets silent connections. */
const PROBE_AFTER_MS = 30_000;

/**
 * Ends a request whose connection takes too long to be made, or on which nothing moves for too long.
 * @param onConnected is told once the server may get something of the request
 */
export function limitTimes(
  request: ClientRequest,
  settings: ConnectionSettings,
  onConnected: () => void,
): void {
  const abort = (what: string, limitMs: number) => {
    const reason = `${what} timeout after ${limitMs / 1000} s`;
    const error = Object.assign(new Error(reason), { code: 'ETIMEDOUT' });
    request.destroy(error);
    if (!request.socket) {
      // Node tells only once there is a socket, which a proxy that says nothing never gives.
      request.emit('error', error);
    }
  };
  const connecting = setTimeout(() => abort('connect', settings.connectTimeoutMs), settings.connectTimeoutMs);
  request.once('close', () => clearTimeout(connecting));
  const watchSocket = (socket: Socket) => {
    const connected = () => {
      clearTimeout(connecting);
      // Node's own option is for connections that wait for a request, not for one that waits for an answer.
      socket.setKeepAlive(true, PROBE_AFTER_MS);
      onConnected();
      const idleLimitMs = () => (request.writableFinished ? settings.readTimeoutMs : settings.writeTimeoutMs);
      const onIdle = () => abort(request.writableFinished ? 'read' : 'write', idleLimitMs());
      socket.setTimeout(idleLimitMs(), onIdle);
      request.once('finish', () => socket.setTimeout(settings.readTimeoutMs));
      request.once('close', () => socket.off('timeout', onIdle));
    };
    if (socket instanceof tls.TLSSocket && !request.reusedSocket) {
      socket.once('secureConnect', connected);
    } else if (socket.connecting) {
      socket.once('connect', connected);
    } else {
      connected();
    }
  };
  // Axios takes the socket's time limit away in a listener of its own, which comes after this one.
  request.once('socket', (socket: Socket) => process.nextTick(watchSocket, socket));
}
