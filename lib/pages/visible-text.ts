/** Text of strangers, on a page of ours. */

/** Makes invisible, control and direction-changing characters visible, as boxes. */
export function visibleText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu, '\u25a1').trim()
}
