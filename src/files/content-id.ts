const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

export function isContentId(text: string): boolean {
  return ID.test(text);
}

/** Ids are made by us; the check is the last line against one that came from a path. */
export function checkContentId(id: string): string {
  if (!isContentId(id)) throw new Error('not a file id');
  return id;
}
