import { NotFoundError, withReason } from '../openstack/errors.ts';
import { DiskNotFound, VMNotFound } from './errors.ts';

/** What is asked of a VM; @throws {VMNotFound} where OpenStack does not have it */
export async function ofVm<T>(vmCid: string, answer: Promise<T>): Promise<T> {
  return answer.catch((cause) => {
    throw cause instanceof NotFoundError
      ? new VMNotFound(withReason(`Server \`${vmCid}' not found`, cause), { cause })
      : cause;
  });
}

/**
 * What is asked of a disk; @throws {DiskNotFound} where OpenStack does not have it
 * @param text begins the message
 */
export async function ofDisk<T>(text: string, answer: Promise<T>): Promise<T> {
  return answer.catch((cause) => {
    throw cause instanceof NotFoundError ? new DiskNotFound(withReason(text, cause), { cause }) : cause;
  });
}
