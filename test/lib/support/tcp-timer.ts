import { readFileSync } from 'node:fs';
import { vi } from 'vitest';
import { result, type ScriptedFunctions, type Turn } from './scripted-functions.ts';

/** Timers of the kernel. https://docs.kernel.org/networking/proc_net_tcp.html */
const RETRANSMISSION = '01';
export const KEEP_ALIVE = '02';

/** Answers once the kernel has settled on a timer for the waiting connection. */
export function watchingTimer(server: ScriptedFunctions): { turn: Turn; timer: Promise<string | undefined> } {
  const { promise: timer, resolve } = Promise.withResolvers<string | undefined>();
  const turn: Turn = async (response, event, received) => {
    const look = () => timerOf(received.port, server.port);
    // As long as the request itself is not acknowledged, it may be sent again.
    await vi.waitUntil(() => look() !== RETRANSMISSION, { interval: 10 });
    resolve(look());
    result(true)(response, event, received);
  };
  return { turn, timer };
}

/** The kernel's timer of a connection. */
function timerOf(localPort: number, remotePort: number): string | undefined {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');
  const addresses = new RegExp(`^\\s*\\d+: 0100007F:${hex(localPort)} 0100007F:${hex(remotePort)} `);
  const row = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .find((line) => addresses.test(line));
  return /^\s*\d+: \S+ \S+ \S+ \S+ (\d\d):/.exec(row ?? '')?.[1];
}
