import type { Agent } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** More often than what sits between forgets a silent connection: NAT gateways after 350 s, some firewalls after 60 s. */
const PROBE_AFTER_MS = 30_000;

/**
 * Makes an agent's connections send TCP keep-alive probes from their beginning, also while they wait for an answer; Node's
 * own option is for connections that wait for a request.
 * @param onConnected is told when the server may get something
 */
export function watched<A extends Agent>(agent: A, onConnected: () => void): A {
  const createConnection = agent.createConnection.bind(agent);
  const watch = (socket: Duplex | null | undefined) => {
    if (!(socket instanceof Socket)) {
      return;
    }
    const connected = () => {
      socket.setKeepAlive(true, PROBE_AFTER_MS);
      onConnected();
    };
    if (!socket.connecting) {
      connected();
    } else {
      socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', connected);
    }
  };
  agent.createConnection = (options, callback) => {
    // Through a proxy, the connection comes later.
    const socket = createConnection(options, (error, later) => {
      watch(later);
      callback?.(error, later);
    });
    watch(socket);
    return socket;
  };
  return agent;
}
