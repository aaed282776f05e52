/** The child's side of `child.js`: answers the parent's questions, and goes when the parent goes. */

/** @param {Record<string, (value: unknown) => unknown>} answers by question */
export function answerParent(answers) {
  process.on('message', async ({ question, value }) => {
    try {
      process.send({ result: await answers[question](value) })
    } catch (error) {
      process.send({ error: error.stack })
    }
  })
  process.on('disconnect', () => process.exit())
}
