import type { ApiError } from '../http.ts';
import type { Port, Server } from '../state.ts';
import { fault } from './requests.ts';

/** States in which Nova takes an order; anything else is a conflict. */
export function allow(action: string, server: Server, states: string[]): void {
  if (!states.includes(server.vm_state)) {
    throw fault(
      'conflictingRequest',
      409,
      `Cannot '${action}' instance ${server.id} while it is in vm_state ${server.vm_state}`,
    );
  }
}

export function busy(action: string, server: Server): ApiError {
  return fault(
    'conflictingRequest',
    409,
    `Cannot '${action}' instance ${server.id} while it is in task_state ${server.task_state}`,
  );
}

export function unbind(port: Port): void {
  port.device_id = '';
  port.device_owner = '';
  port.status = 'DOWN';
  port.revision_number += 1;
}
