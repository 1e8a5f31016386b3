/** Does nothing, so that what is measured is the cluster. */
export function nothing(): void {}
