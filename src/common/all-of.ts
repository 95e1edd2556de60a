/** Resolves or rejects once all have settled: none of them goes on behind the caller's back. Rejects as the first of them in this order that did. */
export async function allOf(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === 'rejected') throw result.reason;
}
