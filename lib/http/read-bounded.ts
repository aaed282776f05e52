/**
 * Reads a whole body, up to a limit. What is left of a longer one is not read: most streams are destroyed then.
 *
 * @param tooLong makes the error for a longer body
 */
export async function readBounded(
  body: AsyncIterable<unknown>,
  maxBytes: number,
  tooLong: () => Error,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw tooLong()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
