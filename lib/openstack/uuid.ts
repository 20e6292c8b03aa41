const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/** Whether a text looks like an id, where OpenStack takes a name as well. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
