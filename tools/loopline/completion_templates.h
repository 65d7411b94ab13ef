// Completion templates: the scripts around the tree, one a shell; %NAME% is filled in.
#pragma once

namespace loopline::cli {

// Bash cuts words at "=", which is why that is looked for.
constexpr const char* bash_template = R"script(# bash completion of loopline %VERSION%
# To use it: source <(loopline completion bash)
# To keep it: loopline completion bash > ~/.local/share/bash-completion/completions/loopline

_loopline_offer() {
  local kind="${1%% *}" words="${1#* }"
  case "$kind" in
    stations|factories) words="$("${COMP_WORDS[0]}" "${dir[@]}" "__$kind" 2>/dev/null)" ;;
    files) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    folders) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    free) return ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

_loopline() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"
  local at="loopline" place=0 word index commands="" options=""
  local -a arguments=() dir=()
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; ++index)); do
    word="${COMP_WORDS[index]}"
    case "$word" in
      =) ((++index)); continue ;;
      %VALUE_OPTIONS%)
        ((++index))
        if [[ "${COMP_WORDS[index]}" == "=" ]]; then ((++index)); fi
        if [[ "$word" == "--dir" ]]; then dir=(--dir "${COMP_WORDS[index]}"); fi
        continue ;;
      -*) continue ;;
    esac
    case "$at $word" in
      %PATHS%) at="$at $word"; place=0 ;;
      *) ((++place)) ;;
    esac
  done
  if [[ "$current" == "=" ]]; then current=""; fi
  if [[ "$previous" == "=" ]]; then previous="${COMP_WORDS[COMP_CWORD - 2]}"; fi
  case "$at $previous" in
%VALUES%  esac
  case "$at" in
%COMMANDS%  esac
  if [[ "$current" == -* ]]; then
    _loopline_offer "words $options"
  elif [[ -n "$commands" ]]; then
    _loopline_offer "words $commands"
  elif ((${#arguments[@]} > 0)); then
    if ((place >= ${#arguments[@]})); then place=$((${#arguments[@]} - 1)); fi
    _loopline_offer "${arguments[place]}"
  fi
}

complete -F _loopline loopline
)script";

constexpr const char* zsh_template = R"script(#compdef loopline
# zsh completion of loopline %VERSION%
# To use it: source <(loopline completion zsh), after compinit
# To keep it: loopline completion zsh > a folder of $fpath, as _loopline

_loopline_offer() {
  local kind="${1%% *}"
  case "$kind" in
    words) compadd -- ${=1#* } ;;
    stations|factories) compadd -- ${(f)"$(loopline $dir __$kind 2>/dev/null)"} ;;
    files) _files ;;
    folders) _files -/ ;;
  esac
}

_loopline() {
  local at="loopline" word
  local -i index place=0
  local -a commands options arguments dir
  for ((index = 2; index < CURRENT; ++index)); do
    word="${words[index]}"
    case "$word" in
      --dir=*) dir=("$word"); continue ;;
      %VALUE_OPTIONS%)
        if [[ "$word" == "--dir" ]]; then dir=(--dir "${words[index + 1]}"); fi
        ((++index))
        continue ;;
      -*) continue ;;
    esac
    case "$at $word" in
      %PATHS%) at="$at $word"; place=0 ;;
      *) ((++place)) ;;
    esac
  done
  case "$at ${words[CURRENT - 1]}" in
%VALUES%  esac
  case "$at" in
%COMMANDS%  esac
  if [[ "${words[CURRENT]}" == -* ]]; then
    _describe -o option options
  elif ((${#commands} > 0)); then
    _describe command commands
  elif ((${#arguments} > 0)); then
    if ((place >= ${#arguments})); then place=$((${#arguments} - 1)); fi
    _loopline_offer "${arguments[place + 1]}"
  fi
}

if [[ "${funcstack[1]}" == "_loopline" ]]; then
  _loopline "$@"
else
  compdef _loopline loopline
fi
)script";

constexpr const char* fish_template = R"script(# fish completion of loopline %VERSION%
# To use it: loopline completion fish | source
# To keep it: loopline completion fish > ~/.config/fish/completions/loopline.fish

# Whether the words before the cursor lead to this command.
function __loopline_at
    set -l at loopline
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case %VALUE_OPTIONS%
                set skip yes
                continue
            case '-*'
                continue
        end
        switch "$at $word"
            case %PATHS%
                set at "$at $word"
        end
    end
    test "$at" = "$argv"
end

function __loopline_names
    set -l words (commandline -opc)
    set -l dir (string match -- '--dir=*' $words)
    set -l place (contains -i -- --dir $words)
    and set dir --dir $words[(math $place + 1)]
    loopline $dir $argv 2>/dev/null
end

complete -c loopline -f
%LINES%)script";

}  // namespace loopline::cli
