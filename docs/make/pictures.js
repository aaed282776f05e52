/**
 * Takes the pictures of `docs/pages.md` from what the browser tests have drawn: `npm run docs:pictures`, after `npm test`.
 */
import { copyFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const from = fileURLToPath(new URL('../../build/screenshots/', import.meta.url))
const to = fileURLToPath(new URL('../pictures/', import.meta.url))
const variants = ['light', 'dark', 'phone', 'phone-dark']

/** Each picture with the screenshot that it is. The error page is branded, and German on the phone. */
const pictures = [
  ...['consent', 'apps', 'sign-in'].flatMap((page) =>
    variants.map((variant) => [`${page}-${variant}`, `${page}-${variant}`]),
  ),
  ['error-light', 'brand-problem-en-light'],
  ['error-dark', 'brand-problem-en-dark'],
  ['error-phone', 'brand-problem-de-phone'],
  ['error-phone-dark', 'brand-problem-de-phone-dark'],
]

for (const [name, screenshot] of pictures) {
  await copyFile(`${from}${screenshot}.png`, `${to}${name}.png`)
}
console.log(`${pictures.length} pictures in docs/pictures`)
