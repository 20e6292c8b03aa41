const LIGHT_SUFFIX = ' light';

/** A light stemcell's CID marks an image that BOSH did not upload and must not delete. */
export function lightCid(imageId: string): string {
  return `${imageId}${LIGHT_SUFFIX}`;
}

export function isLight(stemcellCid: string): boolean {
  return stemcellCid.endsWith(LIGHT_SUFFIX);
}

export function imageIdOf(stemcellCid: string): string {
  return isLight(stemcellCid) ? stemcellCid.slice(0, -LIGHT_SUFFIX.length) : stemcellCid;
}
