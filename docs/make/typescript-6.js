/** Gives TypeDoc TypeScript 6 where it imports `typescript`. */
export function resolve(specifier, context, next) {
  return next(specifier === 'typescript' ? 'typescript-6' : specifier, context)
}
