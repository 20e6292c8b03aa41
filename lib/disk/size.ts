const MIB_PER_GIB = 1024;

/** Volumes come in whole GiB; BOSH asks in MiB. */
export function toGib(sizeMib: number): number {
  return Math.ceil(sizeMib / MIB_PER_GIB);
}
